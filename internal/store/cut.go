package store

import (
	"cmp"
	"slices"
)

// Cut gives a page of a list that is in memory, sorted by a key of texts (s) and numbers (n, as int64), and the cursor of the next.
func Cut[T any](p Page, kinds string, sorted []T, key func(T) []any) (page []T, next string, err error) {
	after, err := p.key(kinds)
	if err != nil {
		return nil, "", err
	}
	if after != nil {
		first, found := slices.BinarySearchFunc(sorted, after, func(item T, k []any) int { return CompareKeys(key(item), k) })
		if found {
			first++
		}
		sorted = sorted[first:]
	}
	page, more := cut(p, sorted)
	if more {
		next = cursor(key(page[len(page)-1])...)
	}
	return page, next, nil
}

// CompareKeys orders keys of texts and numbers by their first parts that differ.
func CompareKeys(a, b []any) int {
	for i := range min(len(a), len(b)) {
		c := 0
		switch x := a[i].(type) {
		case int64:
			y, _ := b[i].(int64)
			c = cmp.Compare(x, y)
		case string:
			y, _ := b[i].(string)
			c = cmp.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}
