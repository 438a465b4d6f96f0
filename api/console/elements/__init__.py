"""Building blocks of pages: the frame, formatted values, marked text, forms.

Read `frame` first, then `words`, `marks`, `filter_form`, `row_forms`. They know no single page.
"""
