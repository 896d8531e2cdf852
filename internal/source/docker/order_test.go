package docker

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func written(sets [][]node) string {
	var parts []string
	for _, set := range sets {
		var names []string
		for _, n := range set {
			names = append(names, n.name)
		}
		parts = append(parts, strings.Join(names, " "))
	}
	return strings.Join(parts, ", ")
}

func TestWhatOthersNeedComesFirstAndProjectsStayTogether(t *testing.T) {
	for want, nodes := range map[string][]node{
		"a, b":          {{name: "b"}, {name: "a"}},
		"z, a":          {{name: "a"}, {name: "z", order: -1}},
		"db app, other": {{name: "app", group: "p", needs: []string{"db"}}, {name: "other"}, {name: "db", group: "p", order: 5}},
		"vpn a b":       {{name: "a", needs: []string{"vpn"}}, {name: "b", needs: []string{"a", "vpn"}}, {name: "vpn"}},
		"a b":           {{name: "a", needs: []string{"b"}}, {name: "b", needs: []string{"a"}}}, // a circle
		"self":          {{name: "self", needs: []string{"self", "gone"}}},
	} {
		if got := written(inSets(nodes)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestEveryContainerIsInOneSetHoweverTheyNeedEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d", "e", "f"}
		var nodes []node
		for _, name := range names {
			nodes = append(nodes, node{
				name: name, order: rapid.IntRange(-2, 2).Draw(t, "order"), group: rapid.SampledFrom([]string{"", "", "p", "q"}).Draw(t, "group"),
				needs: rapid.SliceOfN(rapid.SampledFrom(names), 0, 2).Draw(t, "needs"),
			})
		}
		at := map[string]int{}
		total := 0
		for i, set := range inSets(nodes) {
			for _, n := range set {
				at[n.name] = i
				total++
			}
		}
		if total != len(names) || len(at) != len(names) {
			t.Fatalf("%d of %d", total, len(names))
		}
		for _, n := range nodes {
			if slices.ContainsFunc(n.needs, func(o string) bool { return at[o] != at[n.name] }) {
				t.Fatalf("%s is apart from what it needs", n.name)
			}
		}
	})
}
