"""Texts that break text services, as hypothesis strategies."""

from hypothesis import strategies as st

# Pieces that tokenizers, normalizers and offset tables have been seen to trip over.
PIECES = (
    "Ada Lovelace", "paris", " ", "  ", "\t", "\r\n", "\n", "\0", "\x10", "\u200b", "\u200d", "\ufeff", "\u2060", "\u00ad",
    "👩\u200d👩\u200d👧", "👍🏽", "❤\ufe0f", "🇩🇪", "1\ufe0f\u20e3", "\U0001f3f4\U000e0067\U000e0062\U000e007f",
    "Zürich", "Zu\u0308rich", "e\u0301\u0323", "ﬁ", "…", "ヿ", "Å", "ß", "İ", "\u0130stanbul", "K", "①", "½",
    "東京都", "か\u3099", "서울", "\u1112\u1161\u11ab", "กรุงเทพ", "ភ្នំពេញ",
    "مرحبا", "شُكْرًا", "می\u200cخواهم", "שָׁלוֹם", "\u202bעברית\u202c", "\u200f",
    "हिन्दी", "క్షేత్రం", "[SEP]", "[CLS]", "[PAD]", "##a", "▁", "don't", "a.b@c.de", "25,50 €", "𝔘𝔫𝔦", "\U00020000",
)  # fmt: skip

any_text = st.one_of(
    st.text(max_size=40),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=12).map("".join),
)
