"""The parts that pages are made of: the frame, marked text, words, forms.

Read `frame` first, then `words`, `marks`, `filter_form`, `row_forms`. They know no single page.
"""
