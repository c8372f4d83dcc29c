"""File formats: each module turns a file's bytes into records, and what a record must hold is none of its business."""
