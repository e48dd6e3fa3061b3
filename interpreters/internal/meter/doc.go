// Package meter rewrites WebAssembly modules so that a computing guest keeps asking its host whether it may go on:
//
//	metered, err := meter.Rewrite(module, meter.Options{})
//
// wazero runs a guest as machine code that nothing interrupts: without a call into Go, one endless loop holds its thread, the
// host's garbage collector and every cancellation. A metered module counts what it does in units, and calls the host function
// "interp"."tick" once per Options.Every units. What that function does is the host's: let Go's scheduler in, count fuel, or
// panic to end the guest.
//
// # Units
//
//	one unit     each iteration of a loop, each entry of a function that calls others, each 512 bytes of code in between
//	1 + n/64     memory.fill, memory.copy and memory.init of n bytes
//	1 + n/8      table.fill, table.copy and table.init of n elements
//	1 + n/256    memory.grow that leaves n bytes of memory
//	1 + n/8      table.grow that leaves a table of n elements
//
// Ticks are exact: after t ticks a guest has used at least t*Every units and less than (t+1)*Every. That makes t*Every fuel.
//
// # What bounds the time between two ticks
//
// No path through a function's code is longer than 512 bytes without a unit, where each call in it stands for 32; a function
// without any unit is a leaf of at most 512 bytes. So one unit is at most 16 such leaves, 8 KiB of executed code, and what lies between two ticks is
// at most Every times that, usually a thousandth of it. It does not bound host functions: the one that works long or waits has to
// look for itself whether its guest should end.
//
// # What is refused
//
// Rewrite decodes every instruction of the module. It refuses what it cannot decode, what would make wazero allocate much more
// than the module's own size, and what could reach the counter: a global or local that exists only after rewriting, in code or
// as an export. It does not check types; wazero does that with the metered module, which is valid only if the module was.
//
// Custom sections other than the names are left out: they are not needed to run, and those that point into code would be wrong.
package meter
