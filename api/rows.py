"""rows"""

from flask import Blueprint

blueprint = Blueprint("rows", __name__)
