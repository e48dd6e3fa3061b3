//go:build !unix

// Package pipe moves bytes through anonymous pipes whose descriptors block.
package pipe

import (
	"errors"
	"os"
)

// An End is one end of a pipe.
type End struct{}

func NewEnd(*os.File) (End, error) { return End{}, errors.ErrUnsupported }
func (End) Read([]byte) error      { return errors.ErrUnsupported }
func (End) Write([]byte) error     { return errors.ErrUnsupported }
func (End) Close() error           { return errors.ErrUnsupported }
