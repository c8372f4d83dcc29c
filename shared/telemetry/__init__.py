"""Every metric and every log field. Users' texts never get here."""
