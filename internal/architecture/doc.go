// Package architecture holds the code to what ARCHITECTURE.md and CONTRIBUTING.md promise: who may import whom, that every
// package and every exported name is explained, that no function needs scrolling. It has tests and nothing else.
package architecture
