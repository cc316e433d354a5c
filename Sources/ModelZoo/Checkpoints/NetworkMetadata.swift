import Checkpoints
import CovariancePooling
import Vision

extension NetworkConfiguration {
  /// What a checkpoint says of its network beside the tensors: everything that their names and shapes do not.
  /// - Parameter classNames: the classes' names, where they are not those of a known data set.
  public func metadata(classNames: [String]? = nil) -> [String: String] {
    func list(_ values: [Float]) -> String { "[" + values.map { "\($0)" }.joined(separator: ", ") + "]" }
    var metadata = [
      "model": name, "flavour": flavour.rawValue, "classes": "\(classes)", "input_channels": "\(inputChannels)",
      "input_size": "\(imageSize)", "mean": list(input.mean), "std": list(input.deviation),
      "resize": input.resize.description, "interpolation": input.interpolation.rawValue,
    ]
    metadata["crop"] = input.crop.map { "\($0)" }
    metadata["d"] = covariance.map { "\($0.dimension)" }
    metadata["normalization"] = normalization?.description
    metadata["class_names"] = classNames.flatMap(ClassNames.encode)
    return metadata
  }
}

extension EvaluationTransform {
  /// What a checkpoint's metadata say of its network's input, where they do and it is possible; otherwise what is usual.
  init(metadata: [String: String], usual: EvaluationTransform) {
    self = usual
    func list(_ key: String, _ isGood: (Float) -> Bool) -> [Float]? {
      let values = ClassNames.decodeNumbers(metadata[key])
      return values?.count == usual.channels && values?.allSatisfy { $0.isFinite && isGood($0) } == true ? values : nil
    }
    mean = list("mean") { _ in true } ?? mean
    deviation = list("std") { $0 > 0 } ?? deviation
    interpolation = metadata["interpolation"].flatMap(Interpolation.init) ?? interpolation
    let sizes = 1...4096
    guard let resize = metadata["resize"].flatMap(Resize.init), resize.isWithin(sizes) else { return }
    let crop = metadata["crop"].flatMap { Int($0) }
    guard crop.map(sizes.contains) ?? resize.isExact else { return }
    (self.resize, self.crop) = (resize, crop)
  }
}

extension Network {
  /// Writes the network as safetensors, by PyTorch's names, with everything that loading it again takes.
  /// - Parameters:
  ///   - path: the file, which is replaced where there is one.
  ///   - classNames: the classes' names, where they are not those of a known data set.
  ///   - metadata: what else the file is to say.
  /// - Throws: `FileError` where the file cannot be written; then there is none.
  public func save(to path: String, classNames: [String]? = nil, metadata: [String: String] = [:]) throws
  where Scalar == Float {
    try writeSafetensors(
      namedTensors, metadata: configuration.metadata(classNames: classNames).merging(metadata) { $1 }, to: path)
  }
}

extension Module where Scalar == Float {
  /// All tensors by name, in PyTorch's order.
  package var namedTensors: [(name: String, tensor: Tensor<Float>)] { tensors.map { ($0.description.name, $0.tensor) } }
}
