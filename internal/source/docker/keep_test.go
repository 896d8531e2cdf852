package docker

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"redflag/internal/fleet"
)

func (w *workshop) hasImage(id string) bool {
	_, err := w.api.ImageInspect(w.Context(), id)
	return !errdefs.IsNotFound(err)
}

func TestOldImagesAreKeptForAnUndoAndThenRemovedIfNothingUsesThem(t *testing.T) {
	w := newWorkshop(t)
	next := func(tag, content string) { w.push(tag, recipe{content: tag + content, program: idleProgram(t)}) }
	images := map[string][]string{}
	for _, name := range []string{"plain", "tagged", "used"} {
		w.pushed(name+":1", recipe{content: name + "1", program: idleProgram(t)})
		w.make(name, container.Config{Image: w.ref(name + ":1"), Labels: map[string]string{labelKeep: "1"}}, container.HostConfig{}, false)
		images[name] = append(images[name], w.inspect(name).Image)
	}
	w.tag(images["tagged"][0], w.ref("mine:1"))
	w.make("beside", container.Config{Image: images["used"][0]}, container.HostConfig{}, false)
	for _, generation := range []string{"2", "3"} {
		for _, name := range []string{"plain", "tagged", "used"} {
			next(name+":1", generation)
			if o, k := w.carryOut(w.plan(fleet.Selection{Names: []string{name}})); !o.Succeeded() {
				t.Fatalf("%+v\n%s", o, w.log(k))
			}
			images[name] = append(images[name], w.inspect(name).Image)
		}
	}
	for name, gone := range map[string]bool{"plain": true, "tagged": false, "used": false} {
		if w.hasImage(images[name][0]) == gone {
			t.Errorf("%s: its first image is gone: %v", name, !gone)
		}
		if !w.hasImage(images[name][1]) {
			t.Errorf("%s: the image to go back to is gone", name)
		}
	}
}

func TestGenerationsAreCountedForEachContainer(t *testing.T) {
	g := generations{}
	for i, c := range []struct{ old, now, dropped, left string }{
		{"1", "2", "", "1"}, {"2", "3", "", "2 1"}, {"3", "4", "1", "3 2"}, {"4", "3", "", "4 2"}, {"3", "4", "", "3 2"},
	} {
		if dropped := g.add("c", c.old, c.now, 2); strings.Join(dropped, " ") != c.dropped || strings.Join(g["c"], " ") != c.left {
			t.Errorf("%d: dropped %v, left %v", i, dropped, g)
		}
	}
	if g.add("c", "9", "10", 0); g.has("9") || len(g) != 0 {
		t.Errorf("nothing is to be kept: %v", g)
	}
}

func TestAnImageWithoutADigestCanBeGoneBackToWhileItIsHere(t *testing.T) {
	w := newWorkshop(t)
	w.imported("localhost/built:1", "monday's")
	w.make("built", container.Config{Image: "localhost/built:1"}, container.HostConfig{}, false)
	before := w.inspect("built").Image
	w.imported("localhost/built:1", "tuesday's")
	p := w.plan(fleet.Selection{All: true})
	o, k := w.carryOut(p)
	if !o.Succeeded() || w.inspect("built").Image == before || w.inspect("built").Image != w.imageID("localhost/built:1") {
		t.Fatalf("%+v\n%s", o, w.log(k))
	}
	sel, err := w.source.Undo(w.m, p, o, k)
	if err != nil {
		t.Fatal(err)
	}
	if o, k := w.carryOut(w.plan(sel)); !o.Succeeded() || w.inspect("built").Image != before {
		t.Errorf("%+v\n%s", o, w.log(k))
	}
	w.carryOut(p)
	w.remove(before)
	if _, err := w.source.Plan(t.Context(), w.m, sel); err == nil || !strings.Contains(err.Error(), "was removed here, and its registry does not have it") {
		t.Errorf("an image that is gone: %v", err)
	}
}
