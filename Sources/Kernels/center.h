// Centres rows of FROM into rows of TO; kernels.c includes this file once for each pair, as CENTER.

KERNEL double CENTER(const FROM *x, double factor, TO *y, ptrdiff_t rows, ptrdiff_t columns) {
  double largest[COVPOOL_LANES] = {0};
  for (ptrdiff_t r = 0; r < rows; r++) {
    const FROM *in = x + r * columns;
    TO *out = y + r * columns;
    double first = (double)in[0], lanes[COVPOOL_LANES] = {0};
    ptrdiff_t c = 0;
    for (; c + COVPOOL_LANES <= columns; c += COVPOOL_LANES)
      for (int lane = 0; lane < COVPOOL_LANES; lane++) lanes[lane] += (double)in[c + lane] - first;
    for (; c < columns; c++) lanes[0] += (double)in[c] - first;
    double mean = covpool_total_f64(lanes) / (double)columns;
    for (c = 0; c + COVPOOL_LANES <= columns; c += COVPOOL_LANES) {
      for (int lane = 0; lane < COVPOOL_LANES; lane++) {
        double left = ((double)in[c + lane] - first) - mean, size = fabs(left);
        out[c + lane] = (TO)(left * factor);
        largest[lane] = size <= largest[lane] ? largest[lane] : size;
      }
    }
    for (; c < columns; c++) {
      double left = ((double)in[c] - first) - mean, size = fabs(left);
      out[c] = (TO)(left * factor);
      largest[0] = size <= largest[0] ? largest[0] : size;
    }
    // A NaN would be forgotten at the next number.
    for (int lane = 0; lane < COVPOOL_LANES; lane++)
      if (largest[lane] != largest[lane]) return NAN;
  }
  double most = 0;
  for (int lane = 0; lane < COVPOOL_LANES; lane++) most = largest[lane] > most ? largest[lane] : most;
  return most;
}

#undef CENTER
#undef FROM
#undef TO
