// The secular equation of an eigenproblem, several roots at once.

// Eight roots side by side: a register of AVX-512, two of AVX2.
enum { roots_at_once = 8, most_steps = 100 };
typedef doubles8 numbers;
typedef int64_t bits __attribute__((vector_size(roots_at_once * sizeof(int64_t))));

INLINE numbers all(double x) { return x - (numbers){0}; }

INLINE numbers choose(bits condition, numbers yes, numbers no) {
  return (numbers)((condition & (bits)yes) | (~condition & (bits)no));
}

INLINE numbers absolute(numbers x) { return (numbers)((bits)x & INT64_MAX); }

// Sums over the poles to the left of each lane's root (psi, negative) and to the right of it (phi, positive), their
// slopes, and the sums of all their partial sums, which bound the rounding error.
typedef struct {
  numbers psi, phi, psi_slope, phi_slope, partial;
} sums;

// Each lane's root: its poles are left and left + 1, and it is seen from `origin`.
typedef struct {
  bits left;
  numbers origin, shift;
} places;

INLINE void add_left(sums *s, double pole, double square, const places *at, const bits *skip) {
  numbers inverse = 1 / ((pole - at->origin) - at->shift);
  numbers term = square * inverse;
  if (skip) term = choose(*skip, all(0), term);
  s->psi += term;
  s->psi_slope += term * inverse;
  s->partial -= s->psi;
}

INLINE void add_right(sums *s, double pole, double square, const places *at, const bits *skip) {
  numbers inverse = 1 / ((pole - at->origin) - at->shift);
  numbers term = square * inverse;
  if (skip) term = choose(*skip, all(0), term);
  s->phi += term;
  s->phi_slope += term * inverse;
  s->partial += s->phi;
}

// Far poles first, so that small terms are added to small sums; the lanes' own ones only if `with_own` is -1, not 0.
INLINE void secular_sums(ptrdiff_t n, const double *poles, const double *squares, ptrdiff_t first, const places *at,
                         int64_t with_own, sums *s) {
  *s = (sums){0};
  ptrdiff_t low = first < n - 1 ? first : n - 2, high = first + roots_at_once < n ? first + roots_at_once : n - 1;
  for (ptrdiff_t i = 0; i < low; i++) add_left(s, poles[i], squares[i], at, NULL);
  for (ptrdiff_t i = low; i < high; i++) {
    bits skip = (i > at->left) | (~with_own & (i == at->left));
    add_left(s, poles[i], squares[i], at, &skip);
  }
  for (ptrdiff_t i = n - 1; i > high; i--) add_right(s, poles[i], squares[i], at, NULL);
  for (ptrdiff_t i = high; i > low; i--) {
    bits skip = (i <= at->left) | (~with_own & (i == at->left + 1));
    add_right(s, poles[i], squares[i], at, &skip);
  }
}

static ptrdiff_t secular_roots(ptrdiff_t n, const double *poles, const double *squares, double rho, double *origins,
                               double *shifts) {
  if (n == 1) {
    origins[0] = poles[0];
    shifts[0] = rho * squares[0];
    return 0;
  }
  double total = 0;
  for (ptrdiff_t i = 0; i < n; i++) total += squares[i];
  double constant = 1 / rho, end = rho * total * (1 + 4 * (double)n * DBL_EPSILON);
  ptrdiff_t failures = 0;
  for (ptrdiff_t first = 0; first < n; first += roots_at_once) {
    // Root l lies between the poles left[l] and left[l] + 1; the last one, beyond all poles, is interpolated from the
    // last two.
    places at;
    bits is_last;
    numbers pole0, pole1, square0, square1;
    for (int l = 0; l < roots_at_once; l++) {
      ptrdiff_t root = first + l < n ? first + l : n - 1, i = root < n - 1 ? root : n - 2;
      at.left[l] = i;
      is_last[l] = root == n - 1 ? -1 : 0;
      pole0[l] = poles[i];
      pole1[l] = poles[i + 1];
      square0[l] = squares[i];
      square1[l] = squares[i + 1];
    }
    numbers gap = pole1 - pole0;

    // The secular function in the middle tells which pole is nearer: roots are kept as distances from that one.
    numbers middle = choose(is_last, all(end / 2), gap / 2);
    at.origin = choose(is_last, pole1, pole0);
    at.shift = middle;
    sums s;
    secular_sums(n, poles, squares, first, &at, 0, &s);
    numbers rest = constant + s.psi + s.phi;
    numbers value = rest + square0 / ((pole0 - at.origin) - middle) + square1 / ((pole1 - at.origin) - middle);
    bits is_right = value < 0, is_upper = is_last | is_right;
    at.origin = choose(is_upper, pole1, pole0);
    numbers low = choose(is_last, choose(is_right, middle, all(0)), choose(is_right, -gap / 2, all(0)));
    numbers high = choose(is_last, choose(is_right, all(end), middle), choose(is_right, all(0), gap / 2));

    // First, the root of rest + square0 / (pole0 - x) + square1 / (pole1 - x).
    numbers linear = choose(is_upper, square0 + square1 - rest * gap, rest * gap + square0 + square1);
    numbers product = choose(is_upper, -square1 * gap, square0 * gap);
    numbers root = __builtin_elementwise_sqrt(absolute(linear * linear - 4 * product * rest));
    bits by_sum = choose(is_last, linear, -linear) >= 0;
    numbers signed_root = choose(is_last, root, -root);
    at.shift = choose(by_sum, (linear + signed_root) / (2 * rest), 2 * product / (linear - signed_root));
    at.shift = choose((at.shift > low) & (at.shift < high), at.shift, (low + high) / 2);

    bits done = {0}, uses_slopes = {0};
    numbers before = all(0);
    for (int step = 0; step < most_steps; step++) {
      secular_sums(n, poles, squares, first, &at, -1, &s);
      value = constant + s.psi + s.phi;
      numbers slope = s.psi_slope + s.phi_slope;
      numbers bound = constant + 8 * (s.phi - s.psi) + s.partial + absolute(at.shift) * slope;
      done |= absolute(value) <= DBL_EPSILON / 2 * bound;
      low = choose(value < 0, at.shift, low);
      high = choose(value < 0, high, at.shift);
      done |= high - low <= 2 * DBL_EPSILON * absolute(at.shift);
      if (!__builtin_reduce_or(~done)) break;

      // Rational interpolation (Li, LAPACK Working Note 89): the nearer pole's weight is exact and the other one's
      // takes the rest of the slope, or each side's slope is its pole's where that went too slowly.
      uses_slopes ^= (value * before > 0) & (absolute(value) > absolute(before) / 10);
      before = value;
      numbers to0 = (pole0 - at.origin) - at.shift, to1 = (pole1 - at.origin) - at.shift;
      numbers weight0 = square0 / (to0 * to0), weight1 = square1 / (to1 * to1);
      numbers fixed = choose(is_upper, value - to0 * slope - gap * weight1, value - to1 * slope + gap * weight0);
      rest = choose(uses_slopes | is_last, value - to0 * s.psi_slope - to1 * s.phi_slope, fixed);
      linear = (to0 + to1) * value - to0 * to1 * slope;
      product = to0 * to1 * value;
      root = __builtin_elementwise_sqrt(absolute(linear * linear - 4 * product * rest));
      signed_root = choose(is_last, root, -root);
      by_sum = choose(is_last, linear, -linear) >= 0;
      numbers move = choose(by_sum, (linear + signed_root) / (2 * rest), 2 * product / (linear - signed_root));
      move = choose(value * move < 0, move, -value / slope);
      numbers next = at.shift + move;
      next = choose((next > low) & (next < high), next, (low + high) / 2);
      at.shift = choose(done, at.shift, next);
    }
    for (int l = 0; l < roots_at_once && first + l < n; l++) {
      origins[first + l] = at.origin[l];
      shifts[first + l] = at.shift[l];
      failures += done[l] == 0;
    }
  }
  return failures;
}

static void secular_vectors(ptrdiff_t n, const double *restrict poles, const double *restrict signs,
                            const double *restrict sorted, const double *restrict origins,
                            const double *restrict shifts, double *restrict weights, double *restrict vectors) {
  // z whose problem has exactly these roots (Löwner; Gu and Eisenstat, SIAM J. Matrix Anal. Appl. 15, 1994):
  // zᵢ² = Πⱼ (λⱼ - dᵢ) / Πⱼ≠ᵢ (dⱼ - dᵢ), in pairs that are neither large nor small.
  for (ptrdiff_t i = 0; i < n; i++) weights[i] = 1;
  for (ptrdiff_t j = 0; j < n; j++) {
    double origin = origins[j], shift = shifts[j], pole = sorted[j];
    for (ptrdiff_t i = 0; i < n; i++) {
      double to_root = shift - (poles[i] - origin), to_pole = pole - poles[i];
      weights[i] *= to_root / (to_pole == 0 ? 1 : to_pole);
    }
  }
  for (ptrdiff_t i = 0; i < n; i++) {
    double size = __builtin_sqrt(weights[i] < 0 ? -weights[i] : weights[i]);
    weights[i] = signs[i] < 0 ? -size : size;
  }
  for (ptrdiff_t j = 0; j < n; j++) {
    double origin = origins[j], shift = shifts[j], sum = 0, *vector = vectors + j * n;
    for (ptrdiff_t i = 0; i < n; i++) vector[i] = weights[i] / ((poles[i] - origin) - shift);
    numbers squares = {0};
    ptrdiff_t i = 0;
    for (; i + roots_at_once <= n; i += roots_at_once) {
      numbers x;
      __builtin_memcpy(&x, vector + i, sizeof x);
      squares += x * x;
    }
    for (int l = 0; l < roots_at_once; l++) sum += squares[l];
    for (; i < n; i++) sum += vector[i] * vector[i];
    double factor = 1 / __builtin_sqrt(sum);
    for (i = 0; i < n; i++) vector[i] *= factor;
  }
}

static void root_differences(const double *roots, ptrdiff_t n, double *differences) {
  for (ptrdiff_t i = 0; i < n; i++) {
    double root = roots[i], *row = differences + i * n;
    for (ptrdiff_t j = 0; j < n; j++) {
      double sum = root + roots[j];
      row[j] = sum > 0 ? 1 / sum : 0;
    }
  }
}
