// Centres rows of T into rows of RESULT, as CENTER.

static double CENTER(const T *x, double factor, RESULT *y, ptrdiff_t rows, ptrdiff_t columns) {
  double largest[SUM_LANES] = {0};
  for (ptrdiff_t r = 0; r < rows; r++) {
    const T *in = x + r * columns;
    RESULT *out = y + r * columns;
    double first = (double)in[0], lanes[SUM_LANES] = {0};
    ptrdiff_t c = 0;
    for (; c + SUM_LANES <= columns; c += SUM_LANES)
      for (int lane = 0; lane < SUM_LANES; lane++) lanes[lane] += (double)in[c + lane] - first;
    for (; c < columns; c++) lanes[0] += (double)in[c] - first;
    double mean = total(lanes) / (double)columns;
    for (c = 0; c + SUM_LANES <= columns; c += SUM_LANES) {
      for (int lane = 0; lane < SUM_LANES; lane++) {
        double left = ((double)in[c + lane] - first) - mean, size = fabs(left);
        out[c + lane] = (RESULT)(left * factor);
        largest[lane] = size <= largest[lane] ? largest[lane] : size;
      }
    }
    for (; c < columns; c++) {
      double left = ((double)in[c] - first) - mean, size = fabs(left);
      out[c] = (RESULT)(left * factor);
      largest[0] = size <= largest[0] ? largest[0] : size;
    }
    // A NaN would be forgotten at the next number.
    for (int lane = 0; lane < SUM_LANES; lane++)
      if (largest[lane] != largest[lane]) return NAN;
  }
  double most = 0;
  for (int lane = 0; lane < SUM_LANES; lane++) most = largest[lane] > most ? largest[lane] : most;
  return most;
}

#undef CENTER
#undef RESULT
