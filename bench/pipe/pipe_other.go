//go:build !unix

// Package pipe moves bytes through anonymous pipes whose descriptors block.
package pipe

import (
	"errors"
	"os"
)

// An End is one end of a pipe.
type End struct{}

func New() (r, w End, err error) { return End{}, End{}, errors.ErrUnsupported }
func FromDescriptor(int) End     { return End{} }
func (End) File() *os.File       { return nil }
func (End) Read([]byte) error    { return errors.ErrUnsupported }
func (End) Write([]byte) error   { return errors.ErrUnsupported }
func (End) Close() error         { return errors.ErrUnsupported }
