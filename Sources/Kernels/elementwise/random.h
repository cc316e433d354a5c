// Counter-based random bits: two rounds of a 64-bit finaliser (Stafford's mix 13 of MurmurHash3).

#ifndef COVPOOL_RANDOM_H
#define COVPOOL_RANDOM_H

#include <stdint.h>

static inline uint64_t mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static inline double unit_interval(uint64_t seed, uint64_t counter) {
  return (double)(mix(mix(seed) + counter * 0x9e3779b97f4a7c15u) >> 11) * 0x1p-53;
}

#endif
