"""How texts are read: times, URLs and characters that nobody sees. Imports nothing else of this project."""
