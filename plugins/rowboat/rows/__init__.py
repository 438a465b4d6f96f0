"""Single rows and small batches, as the API and the console read and write them.

Read `exact_json` first, then the packages `read` and `write`. It knows no web framework: views pass
text and get rows, reports or errors.
"""
