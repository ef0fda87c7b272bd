# Belongs to who uses the image; reaches neither image nor tests.
