"""The terminal: what `irl-vla` and `irl-vla-train` do alike. Which commands there are, words that
cannot be obeyed, Ctrl-C, and bad input that ends with a sentence.

In:  a table of commands, foreign words   Out: help, printed lines, exit codes   May import: types
"""
