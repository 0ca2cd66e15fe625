"""The command line: thin commands over the rooms. One module per command; `app.py` lists them.
In:  words and files of a user   Out: files, tables, exit codes   May import: everything;
nobody imports this room."""
