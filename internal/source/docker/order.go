package docker

import (
	"cmp"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// node is a container of a plan, as far as the order goes.
type node struct {
	name string
	// order is a person's word: smaller ones come first.
	order int
	// group is the Compose project that it belongs to, empty for none. All of one are carried out together, or none of them.
	group string
	// needs are the containers of the plan that must run before it.
	needs []string
}

// inSets puts together what must be carried out as one (a project; those that need each other), each set in the order in which its containers are started.
// Needs come first, then the order that a person gave, then the name. In a circle of needs, one must be the first: it is the one that is the first by the rest.
func inSets(nodes []node) [][]node {
	root := make([]int, len(nodes))
	for i := range nodes {
		root[i] = i
	}
	var find func(int) int
	find = func(i int) int {
		if root[i] != i {
			root[i] = find(root[i])
		}
		return root[i]
	}
	for i, a := range nodes {
		for j, b := range nodes {
			if a.group != "" && a.group == b.group || slices.Contains(a.needs, b.name) {
				root[find(i)] = find(j)
			}
		}
	}
	byRoot := map[int][]node{}
	for i, n := range nodes {
		byRoot[find(i)] = append(byRoot[find(i)], n)
	}
	var sets [][]node
	for _, set := range byRoot {
		sets = append(sets, inOrder(set))
	}
	slices.SortFunc(sets, func(a, b []node) int {
		return cmp.Or(cmp.Compare(least(a), least(b)), cmp.Compare(a[0].name, b[0].name))
	})
	return sets
}

func least(set []node) int {
	return slices.MinFunc(set, func(a, b node) int { return cmp.Compare(a.order, b.order) }).order
}

// inOrder puts those that others need before them.
func inOrder(set []node) []node {
	left := slices.SortedFunc(slices.Values(set), func(a, b node) int { return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.name, b.name)) })
	waits := func(n node) bool {
		return slices.ContainsFunc(left, func(o node) bool { return o.name != n.name && slices.Contains(n.needs, o.name) })
	}
	var done []node
	for len(left) > 0 {
		next := max(0, slices.IndexFunc(left, func(n node) bool { return !waits(n) }))
		done = append(done, left[next])
		left = slices.Delete(left, next, next+1)
	}
	return done
}

// lean is what of another container a container needs to be there. Others are named by name or ID.
type lean struct {
	other string
	// lives: it lives in the other one's space, or has its volumes, and is lost or blind when that one is made anew.
	lives bool
}

// leans gives what a container leans on.
func leans(c container.InspectResponse) []lean {
	var list []lean
	for _, mode := range []string{string(c.HostConfig.NetworkMode), string(c.HostConfig.PidMode), string(c.HostConfig.IpcMode)} {
		if other, shares := strings.CutPrefix(mode, "container:"); shares {
			list = append(list, lean{other, true})
		}
	}
	for _, from := range c.HostConfig.VolumesFrom { // name[:ro]
		other, _, _ := strings.Cut(from, ":")
		list = append(list, lean{other, true})
	}
	for _, link := range c.HostConfig.Links { // /db:/app/alias; the addresses behind them are written into its /etc/hosts
		other, _, _ := strings.Cut(strings.TrimPrefix(link, "/"), ":")
		list = append(list, lean{other, true})
	}
	return list
}
