"""What is doubtful about rows that are each usable: looked for before time is spent on them. Pure; findings never hold a row's text."""
