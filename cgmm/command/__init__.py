"""The command line: what may be asked (arguments), what is done (verbs), and what is written, printed and shown."""
