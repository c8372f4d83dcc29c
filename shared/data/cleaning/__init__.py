"""What a machine can mend about rows, as named steps that an import is asked for. Pure; what is told never holds a row's text."""
