import Checkpoints
import Console
import Files
import Foundation
import ModelZoo

/// Features whose covariances are taken: made with a known spectrum, or a real network's.
struct Features {
  /// What tables call it.
  let name: String
  /// `[B, d, N]`.
  let tensor: Tensor<Float>

  var dimension: Int { tensor.shape[1] }
  var positions: Int { tensor.shape[2] }

  /// Spectra of covariances that can be made.
  enum Spectrum: String, CaseIterable {
    /// Independent normal numbers: all eigenvalues of the expected covariance are 1.
    case white
    /// Expected eigenvalues λᵢ = 10^(−3 i / (d − 1)).
    case decaying
    /// A quarter of the eigenvalues is not 0, whatever the number of positions.
    case rankDeficient = "rank-deficient"
  }

  init(name: String, tensor: Tensor<Float>) { (self.name, self.tensor) = (name, tensor) }

  /// Features with this spectrum, the same on every machine.
  init(_ spectrum: Spectrum, batch: Int, dimension d: Int, positions: Int) {
    name = spectrum.rawValue
    let stream = RandomStream(seed: 0, name: "features \(spectrum.rawValue)")
    let noise: Tensor<Float> = stream.normal([batch, d, positions], deviation: 1)
    // A reflection turns the eigenvectors away from the axes.
    let axis: Tensor<Float> = RandomStream(seed: 0, name: "axis").normal([d], deviation: 1)
    let length = axis.scalars.reduce(0) { $0 + Double($1 * $1) }
    tensor = Tensor(noise.shape) { result in
      noise.withUnsafeScalars { noise in
        axis.withUnsafeScalars { axis in
          for sample in 0..<batch {
            let first = sample * d * positions
            for i in 0..<d {
              let factor: Float =
                switch spectrum {
                case .white: 1
                case .decaying: Float(pow(10, -1.5 * Double(i) / Double(max(d - 1, 1))))
                case .rankDeficient: i < max(d / 4, 1) ? 1 : 0
                }
              for p in 0..<positions { result[first + i * positions + p] = factor * noise[first + i * positions + p] }
            }
            for p in 0..<positions {
              var sum = 0.0
              for i in 0..<d { sum += Double(axis[i] * result[first + i * positions + p]) }
              let step = Float(2 * sum / length)
              for i in 0..<d { result[first + i * positions + p] -= step * axis[i] }
            }
          }
        }
      }
    }
  }

  /// The features of a file: a tensor `features` of `[B, d, …]`, or the only tensor with three or more axes; of a network
  /// of the zoo that comes with the package; or of a checkpoint.
  /// - Parameters:
  ///   - source: a file or a network's name.
  ///   - images: a data set's directory; by default Fashion-MNIST for networks of one channel, random images otherwise.
  static func load(_ source: String, images: String?, batch: Int) throws -> Features {
    if let box = try Zoo.checkpointInTheBox(source) {
      return try network(
        try AnyNetwork<Float>.load(try Zoo.entry(named: source).configuration, from: box).0, source, images, batch)
    }
    guard isTaken(source) else {
      throw UsageError("--features \(source): no such file, and no network in the box has this name")
    }
    let checkpoint = try Checkpoint(contentsOf: source)
    let candidates = checkpoint.tensors.filter { $0.value.shape.rank >= 3 }
    if let stored = checkpoint.tensors["features"] ?? (candidates.count == 1 ? candidates.first?.value : nil) {
      let tensor = try stored.tensor(as: Float.self)
      let positions = tensor.shape.dropFirst(2).reduce(1, *)
      guard tensor.rank >= 3, tensor.scalarCount > 0 else {
        throw UsageError("--features \(source): expected features [B, d, …], found \(tensor.shape)")
      }
      guard tensor.shape[0] >= batch else {
        throw UsageError("--features \(source): expected at least \(batch) samples, found \(tensor.shape[0])")
      }
      let used = tensor.scalars.prefix(batch * tensor.shape[1] * positions)
      guard used.allSatisfy(\.isFinite) else { throw UsageError("--features \(source): not all numbers are finite") }
      return Features(name: name(source), tensor: Tensor([batch, tensor.shape[1], positions], used))
    }
    guard let model = try Zoo.model(ofCheckpoint: source) else {
      throw UsageError("--features \(source): holds neither a tensor 'features' nor a network of the zoo")
    }
    let found = try Zoo.network(model, checkpoint: source).network
    return try network(found, "\(model) (\(name(source)))", images, batch)
  }

  private static func name(_ path: String) -> String { NSString(string: path).lastPathComponent }

  private static func network(
    _ network: AnyNetwork<Float>, _ name: String, _ images: String?, _ batch: Int
  ) throws -> Features {
    let configuration = network.configuration
    guard configuration.covariance != nil else {
      throw UsageError("--features \(name): this network takes no covariance")
    }
    let single = configuration.inputShape
    let shape = Shape([batch] + single.dropFirst())
    var title = name
    let input: Tensor<Float>
    let isGrey = configuration.inputChannels == 1
    if let directory = images ?? (isGrey && FashionMNIST.isInstalled ? FashionMNIST.directory : nil) {
      let data = try openDataset(directory)
      guard data.count >= batch else {
        throw UsageError("\(directory): expected at least \(batch) images, found \(data.count)")
      }
      let transform = configuration.input
      input = try Tensor(shape) { pixels in
        let size = pixels.count / batch
        for index in 0..<batch {
          transform(
            try data.image(index), into: UnsafeMutableBufferPointer(rebasing: pixels[index * size..<(index + 1) * size])
          )
        }
      }
    } else {
      title += " on random images"
      input = RandomStream(seed: 0, name: "images").uniform(shape, low: -2, high: 2)
    }
    let features = try Plan(network.trace(input: single) { $0.reducedFeatures($1) })(input)
    return Features(
      name: title,
      tensor: features.reshaped(to: [batch, features.shape[1], features.shape.dropFirst(2).reduce(1, *)]))
  }
}
