"""What turns a manifest into SDK objects: an image, cords."""
