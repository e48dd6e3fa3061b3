//go:build !linux

package main

import "errors"

// cores are unknown here, and so is who runs on which.
func cores() []int { return nil }

func pinThread(...int) (unpin func(), err error) { return nil, errors.ErrUnsupported }

func confine([]int, ...int) error { return errors.ErrUnsupported }
