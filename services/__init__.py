"""The processes of Tagsmith: each folder is one of them."""
