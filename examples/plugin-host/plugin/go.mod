// A module of its own, as a third party's would be. Only the replace tells that it lives next door.
module example.org/markup

go 1.26

require github.com/seed7d1be1d5/concurrent v0.0.0

require (
	github.com/vmihailenco/msgpack/v5 v5.4.1 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
)

replace github.com/seed7d1be1d5/concurrent => ../../..
