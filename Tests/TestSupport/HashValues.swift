@_exported import Tensors

// Values that any program in any language makes alike, from a name and an index: the goldens' networks are filled with
// them, so no weights need to be kept.

/// FNV-1a, 32 bits.
public func fnv1a(_ name: String) -> UInt32 {
  name.utf8.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 }
}

/// `count` numbers in [-1, 1): MurmurHash3's finaliser of index · 2654435761 + fnv1a(name) + seed.
public func unit(_ name: String, count: Int, seed: UInt32 = 0) -> [Float] {
  let offset = fnv1a(name) &+ seed
  return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
    for index in 0..<count {
      var h = UInt32(truncatingIfNeeded: index) &* 2_654_435_761 &+ offset
      h ^= h >> 16
      h &*= 0x85EB_CA6B
      h ^= h >> 13
      h &*= 0xC2B2_AE35
      h ^= h >> 16
      buffer[index] = Float(Double(h) / 2_147_483_648 - 1)
    }
    initialized = count
  }
}

/// The value of the tensor that a checkpoint calls `name`: plausible for its kind, so that activations keep their scale.
public func hashValues(_ name: String, _ shape: Shape) -> [Float] {
  let values = unit(name, count: shape.scalarCount)
  let leaf = name.split(separator: ".").last.map(String.init) ?? name
  switch leaf {
  case "running_mean", "moving_mean": return values.map { 0.1 * $0 }
  case "running_var", "moving_variance": return values.map { 1 + 0.5 * $0 }
  case "bias", "beta": return values.map { (name == "fc.bias" || name == "end_point.bias" ? 0.001 : 0.1) * $0 }
  default:
    if shape.rank == 1 { return values.map { 0.6 + 0.2 * $0 } }
    let factor = (6 / Double(shape.dropFirst().reduce(1, *))).squareRoot()
    return values.map { Float(factor * Double($0)) }
  }
}

/// `[batch, 3, size, size]`: a 14×14 grid of blocks with a little noise in each pixel.
public func hashImage(batch: Int, size: Int) -> Tensor<Float> {
  let coarse = unit("coarse", count: batch * 3 * 14 * 14)
  let fine = unit("fine", count: batch * 3 * size * size)
  return Tensor([batch, 3, size, size]) { pixels in
    for plane in 0..<batch * 3 {
      for y in 0..<size {
        for x in 0..<size {
          let index = (plane * size + y) * size + x
          pixels[index] = 2 * coarse[(plane * 14 + y * 14 / size) * 14 + x * 14 / size] + fine[index]
        }
      }
    }
  }
}
