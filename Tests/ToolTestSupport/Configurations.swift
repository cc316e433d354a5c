import ModelZoo

/// The configuration of a network of the zoo, changed where asked.
public func configuration(_ name: String, classes: Int? = nil, dimension: Int? = nil) throws -> NetworkConfiguration {
  var configuration = try Zoo.entry(named: name).configuration
  configuration.classes = classes ?? configuration.classes
  if let dimension { configuration.covariance?.dimension = dimension }
  return configuration
}

/// A network small enough to be written in a blink: resnet20 with three classes and, where it has a head, d = 8.
public func smallConfiguration(_ head: PublishedHead) throws -> NetworkConfiguration {
  try configuration("resnet20-\(head)", classes: 3, dimension: 8)
}
