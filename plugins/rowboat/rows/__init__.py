"""Single rows and small batches, as the API and the console read and write them.

Read `read` first, then `write`; `exact_json` is JSON that keeps digits. It knows no web framework:
views hand it text and get rows, reports or errors.
"""
