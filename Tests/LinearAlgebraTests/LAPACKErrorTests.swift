import LinearAlgebra
import Testing

@Suite struct LAPACKErrorTests {
  @Test func `Success is no error`() throws {
    for routine in [LAPACKRoutine.syevd, .gesdd, .potrf, .potrs, .potri] {
      try routine.check(0, for: Float.self, size: 4)
    }
  }

  @Test func `A negative info is a bad argument of the routine with its precision`() {
    #expect(throws: LAPACKError.badArgument(routine: "ssyevd", position: 6)) {
      try LAPACKRoutine.syevd.check(-6, for: Float.self, size: 4)
    }
    #expect(throws: LAPACKError.badArgument(routine: "dpotrs", position: 1)) {
      try LAPACKRoutine.potrs.check(-1, for: Double.self, size: 4)
    }
  }

  @Test func `A positive info means what the routine says`() {
    // 2 · (size + 1) + 4: rows 2 to 4, counted from 1.
    #expect(throws: LAPACKError.notConverged(routine: "dsyevd", block: 1...3)) {
      try LAPACKRoutine.syevd.check(14, for: Double.self, size: 4)
    }
    // Not of that form: no block is made up.
    #expect(throws: LAPACKError.notConverged(routine: "dsyevd", block: nil)) {
      try LAPACKRoutine.syevd.check(3, for: Double.self, size: 4)
    }
    #expect(throws: LAPACKError.notConverged(routine: "sgesdd", block: nil)) {
      try LAPACKRoutine.gesdd.check(2, for: Float.self, size: 4)
    }
    #expect(throws: LAPACKError.notPositiveDefinite(index: 2)) {
      try LAPACKRoutine.potrf.check(3, for: Double.self, size: 4)
    }
    #expect(throws: LAPACKError.notPositiveDefinite(index: 0)) {
      try LAPACKRoutine.potri.check(1, for: Double.self, size: 4)
    }
  }

  @Test(arguments: [
    (LAPACKError.badArgument(routine: "ssyevd", position: 6), ["ssyevd", "position 6"]),
    (.notConverged(routine: "dsyevd", block: 1...3), ["dsyevd", "rows 1 to 3"]),
    (.notConverged(routine: "sgesdd", block: nil), ["sgesdd", "did not converge"]),
    (.notPositiveDefinite(index: 7), ["pivot 7"]),
    (.notFinite, ["NaN or infinity"]),
  ])
  func `An error describes itself in one line`(_ error: LAPACKError, _ parts: [String]) {
    let description = "\(error)"
    #expect(parts.allSatisfy(description.contains) && !description.contains("\n"))
  }
}
