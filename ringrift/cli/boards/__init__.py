"""`replay` and `play`: recorded games and games against the ladder, on drawn boards."""
