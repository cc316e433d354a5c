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
  /// This transform as overridden by a checkpoint's metadata, and the keys whose values cannot be.
  func overridden(by metadata: [String: String]) -> (transform: EvaluationTransform, unusable: [String]) {
    var (transform, unusable) = (self, [String]())
    func take<Value>(_ key: String, _ place: WritableKeyPath<EvaluationTransform, Value>, _ read: (String) -> Value?) {
      guard let text = metadata[key] else { return }
      if let value = read(text) { transform[keyPath: place] = value } else { unusable.append(key) }
    }
    func list(_ isGood: @escaping (Float) -> Bool) -> (String) -> [Float]? {
      { text in
        let values = ClassNames.decodeNumbers(text)
        let isUsable = values?.count == self.channels && values?.allSatisfy { $0.isFinite && isGood($0) } == true
        return isUsable ? values : nil
      }
    }
    take("mean", \.mean, list { _ in true })
    take("std", \.deviation, list { $0 > 0 })
    take("interpolation", \.interpolation) { Interpolation(rawValue: $0) }
    let sizes = 1...4096
    take("resize", \.resize) { text in Resize(text).flatMap { $0.isWithin(sizes) ? $0 : nil } }
    if metadata["resize"] != nil { transform.crop = nil }
    take("crop", \.crop) { text -> Int?? in
      guard let crop = Int(text), sizes.contains(crop) else { return .none }
      return .some(crop)
    }
    if !transform.isUsable {
      (transform.resize, transform.crop) = (resize, crop)
      unusable.append("resize")
    }
    return (transform, unusable)
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
