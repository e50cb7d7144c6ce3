"""Reading text in photos: networks of PP-OCRv6, script models of Tesseract."""
