"""The HTTP service: takes rows through the door and answers metric queries."""
