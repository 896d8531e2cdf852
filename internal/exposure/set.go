package exposure

import (
	"math/bits"
	"slices"
)

// few is how many hosts a set holds as a list: most versions of packages are on a handful of hosts, or on a good part of them.
const few = 24

// set is a set of hosts, by their places. The zero set is empty.
type set struct {
	list []uint32 // sorted, while there are few
	bits wide
}

// wide is a set of hosts as bits.
type wide []uint64

func (s *set) has(n uint32) bool {
	if s.bits == nil {
		_, ok := slices.BinarySearch(s.list, n)
		return ok
	}
	return s.bits.has(n)
}

func (s *set) add(n uint32) {
	if s.bits != nil {
		s.bits.add(n)
		return
	}
	at, ok := slices.BinarySearch(s.list, n)
	if ok {
		return
	}
	if len(s.list) < few {
		s.list = slices.Insert(s.list, at, n)
		return
	}
	for _, m := range s.list {
		s.bits.add(m)
	}
	s.list = nil
	s.bits.add(n)
}

func (s *set) remove(n uint32) {
	if s.bits != nil {
		s.bits.remove(n)
		return
	}
	if at, ok := slices.BinarySearch(s.list, n); ok {
		s.list = slices.Delete(s.list, at, at+1)
	}
}

func (s *set) empty() bool {
	if s.bits == nil {
		return len(s.list) == 0
	}
	return s.bits.empty()
}

// into adds all of the set to another.
func (s *set) into(w *wide) {
	if s.bits != nil {
		w.or(s.bits)
		return
	}
	for _, n := range s.list {
		w.add(n)
	}
}

func (w wide) has(n uint32) bool { return int(n>>6) < len(w) && w[n>>6]&(1<<(n&63)) != 0 }

func (w *wide) add(n uint32) {
	if need := int(n>>6) + 1; need > len(*w) {
		*w = append(*w, make(wide, need-len(*w))...)
	}
	(*w)[n>>6] |= 1 << (n & 63)
}

func (w wide) remove(n uint32) {
	if int(n>>6) < len(w) {
		w[n>>6] &^= 1 << (n & 63)
	}
}

func (w wide) empty() bool { return !slices.ContainsFunc(w, func(x uint64) bool { return x != 0 }) }

func (w wide) count() (n int) {
	for _, x := range w {
		n += bits.OnesCount64(x)
	}
	return n
}

// or adds what another set has.
func (w *wide) or(o wide) {
	if len(o) > len(*w) {
		*w = append(*w, make(wide, len(o)-len(*w))...)
	}
	for i, x := range o {
		(*w)[i] |= x
	}
}

// and keeps what another set has too.
func (w wide) and(o wide) {
	for i := range w {
		if i < len(o) {
			w[i] &= o[i]
		} else {
			w[i] = 0
		}
	}
}

// not takes away what another set has.
func (w wide) not(o wide) {
	for i := range min(len(w), len(o)) {
		w[i] &^= o[i]
	}
}

// within says whether another set has all of it.
func (w wide) within(o wide) bool {
	for i, x := range w {
		if i >= len(o) && x != 0 || i < len(o) && x&^o[i] != 0 {
			return false
		}
	}
	return true
}

// reset empties it, and keeps its memory.
func (w *wide) reset() { clear(*w); *w = (*w)[:0] }

// each calls do for every host in it, in the order of their places.
func (w wide) each(do func(n uint32)) {
	for i, x := range w {
		for ; x != 0; x &= x - 1 {
			do(uint32(i<<6 + bits.TrailingZeros64(x))) //nolint:gosec // below the number of hosts
		}
	}
}
