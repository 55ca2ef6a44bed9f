"""bbolt: pages, elements, trees."""
