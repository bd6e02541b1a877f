// Names public symbols that have no documentation, or that let a generated type through. Fails where there is one.
//
// usage: swift undocumented.swift SYMBOL-GRAPH…

import Foundation

struct Graph: Decodable {
    struct Symbol: Decodable {
        struct Names: Decodable { let title: String }
        struct Kind: Decodable { let identifier: String }
        struct Identifier: Decodable { let precise: String }
        struct Fragment: Decodable {
            let spelling: String
            let preciseIdentifier: String?
        }
        struct Comment: Decodable {
            struct Line: Decodable { let text: String }
            let lines: [Line]
        }

        let pathComponents: [String]
        let names: Names
        let kind: Kind
        let identifier: Identifier
        let docComment: Comment?
        let declarationFragments: [Fragment]
    }

    let symbols: [Symbol]
}

var faults: [String] = []
var checked = 0
for path in CommandLine.arguments.dropFirst() {
    let graph = try JSONDecoder().decode(Graph.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    for symbol in graph.symbols where symbol.kind.identifier != "swift.extension" {
        checked += 1
        let name = symbol.pathComponents.joined(separator: ".")
        if symbol.docComment?.lines.contains(where: { !$0.text.isEmpty }) != true {
            faults.append("\(name) is not documented")
        }
        for fragment in symbol.declarationFragments
        where fragment.preciseIdentifier?.contains("RowtideBindings") == true {
            faults.append("\(name) shows the generated type \(fragment.spelling)")
        }
    }
}
if checked == 0 { faults.append("no symbols were found") }
for fault in faults { print(fault) }
print("documentation: \(checked) public symbols, \(faults.count) faults")
exit(faults.isEmpty ? 0 : 1)
