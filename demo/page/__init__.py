"""The web page: photos in, answers on a map."""
