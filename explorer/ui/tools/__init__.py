"""One script per page; the menu is explorer/ui/menu.py."""
