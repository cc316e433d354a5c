import Files
import Foundation

extension Recipe {
  /// The recipe called `name`, or the one in the JSON file of that path.
  /// - Parameter recipes: those that have names: `Architecture.recipes` of what is to be trained.
  /// - Throws: `RecipeError`.
  public static func find(_ name: String, among recipes: [Recipe] = named) throws -> Recipe {
    try find(name, among: recipes, calledFrom: [])
  }

  /// - Parameter callers: the files whose `base` led here.
  private static func find(
    _ name: String, among named: [Recipe], calledFrom callers: [String]
  ) throws -> Recipe {
    if let recipe = named.first(where: { $0.name == name }) { return recipe }
    guard name.hasSuffix(".json") || fileKind(name) == .other else {
      throw RecipeError(
        "no recipe '\(name)'; there are \(named.map(\.name).joined(separator: ", ")), or name a .json file")
    }
    if callers.contains(where: { isSameFile($0, name) }) {
      throw RecipeError(
        "\(name): its base leads back to itself: \((callers + [name]).joined(separator: " → "))", isLocated: true)
    }
    guard callers.count < 100 else { throw RecipeError("\(name): more than 100 recipes are based on each other") }
    let data: Data
    do { data = try readStream(name, limit: 1 << 24) } catch { throw RecipeError(error.description) }
    do { return try merged(with: data, among: named, calledFrom: callers + [name]) } catch let error as RecipeError {
      // Only the innermost file is named, which is where the fault is.
      throw error.isLocated ? error : RecipeError("\(name): \(error.description)", isLocated: true)
    }
  }

  /// The recipe `base` names (by default `small`) with the fields of a JSON object in place of its own.
  private static func merged(
    with data: Data, among named: [Recipe], calledFrom callers: [String]
  ) throws -> Recipe {
    let json: Any
    do { json = try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed) } catch {
      let reason = (error as NSError).userInfo["NSDebugDescription"] as? String
      throw RecipeError("not JSON" + (reason.map { ": " + $0 } ?? ""))
    }
    guard let changes = json as? [String: Any] else { throw RecipeError("expected an object of a recipe's fields") }
    if let base = changes["base"], !(base is String) { throw RecipeError("base must be a recipe's name or file") }
    let base = try (changes["base"] as? String).map { try find($0, among: named, calledFrom: callers) } ?? small
    let encoded =
      try JSONSerialization.jsonObject(with: JSONEncoder().encode(base)) as? [String: Any] ?? [:]
    let optional: Set = ["base", "clipNorm", "averageDecay"]
    if let unknown = changes.keys.filter({ encoded[$0] == nil && !optional.contains($0) }).min() {
      throw RecipeError("unknown field '\(unknown)'; there are \(encoded.keys.sorted().joined(separator: ", "))")
    }
    let padding = (changes["augmentation"] as? [String: Any])?["padding"]
    for (name, value) in [
      ("epochs", changes["epochs"]), ("batchSize", changes["batchSize"]), ("augmentation.padding", padding),
    ] {
      if let number = value as? NSNumber, Int(exactly: number.doubleValue) == nil {
        throw RecipeError("\(name) must be a whole number, found \(number)")
      }
    }
    let whole = encoded.merging(changes) { $1 }
    do {
      let recipe = try JSONDecoder().decode(Recipe.self, from: JSONSerialization.data(withJSONObject: whole))
      try recipe.validate()
      return recipe
    } catch let error as DecodingError { throw RecipeError(describe(error)) }
  }
}

/// What is wrong with a recipe.
public struct RecipeError: Error, CustomStringConvertible {
  public let description: String
  /// Whether the description names a file.
  let isLocated: Bool

  init(_ description: String, isLocated: Bool = false) {
    self.description = description
    self.isLocated = isLocated
  }
}

extension RecipeError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
