"""Opens the page: `python app.py`, and the file that a Hugging Face Space runs."""

from app.page import launch
from app.settings import parse_settings

if __name__ == "__main__":
    launch(parse_settings())
