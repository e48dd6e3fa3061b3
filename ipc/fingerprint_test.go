package ipc_test

import (
	"encoding"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

type (
	celsius float64
	bits    []celsius
	pair    struct {
		B []string
		A celsius
	}
	mutualA struct{ B *mutualB }
	mutualB struct{ A map[string]mutualA }
	sized   struct {
		C01, C02, C03, C04, C05, C06, C07, C08, C09 int
		Last                                        string
	}
)

func TestFingerprint(t *testing.T) {
	const here = "github.com/seed7d1be1d5/concurrent/ipc_test."
	for want, types := range map[string][]any{
		"int":                      {1},
		"int64":                    {int64(1), time.Second},
		"uint8":                    {byte(1)},
		"float64":                  {celsius(1)},
		"[]float64":                {bits{}, []float64{}},
		"[]byte":                   {[]byte{}, msgpackBytes{}},
		"[4]byte":                  {[4]byte{}},
		"[2][]string":              {[2][]string{}},
		"*int":                     {new(int)},
		"map[string]*bool":         {map[string]*bool{}},
		"[]any":                    {[]any{}},
		"[]error":                  {[]error{}},
		"[]encoding.TextMarshaler": {[]encoding.TextMarshaler{}},
		"struct{A:float64,B:[]string}": {pair{}, struct {
			A celsius
			B []string
			c int
		}{}},
		"struct{ID:int,V:float32,n:int8}": {struct {
			base
			*Inner
			hidden int
			N      int8 `msgpack:"n,omitempty"`
			M      int  `msgpack:"-"`
		}{}},
		"struct{Inner:*struct{V:float32}}": {struct {
			*Inner `msgpack:",noinline"`
		}{}},
		"array{A:int,B:string}": {tuple{}},
		`struct{"a{b":int}`: {struct {
			A int `msgpack:"a{b"`
		}{}},
		"struct{Next:*^0}":                   {list{}},
		"*struct{Next:^0}":                   {&list{}},
		"map[string]^0":                      {tree{}},
		"struct{B:*struct{A:map[string]^0}}": {mutualA{}},
		"time.Time":                          {time.Time{}},
		"*math/big.Int":                      {new(big.Int)},
		here + "keeper":                      {keeper{}},
		"struct{At:time.Time}":               {struct{ At time.Time }{}},
		"chan":                               {make(chan int)},
		here + "embedding":                   {embedding{}},
		here + "pointers":                    {pointers(nil)},
		"struct{}":                           {struct{}{}, struct{ hidden int }{}},
	} {
		for _, v := range types {
			assert.Equal(t, want, ipc.Fingerprint(reflect.TypeOf(v)), "%T", v)
		}
	}
	long := ipc.Fingerprint(reflect.TypeFor[sized]())
	assert.Equal(t, "struct{C01:int,C02:int,C03:int,C04:int,C#35434662677e3b05", long, "the same in every build")
	type other struct {
		Last                                        int
		C01, C02, C03, C04, C05, C06, C07, C08, C09 int
	}
	assert.NotEqual(t, long, ipc.Fingerprint(reflect.TypeFor[other]()), "what was cut counts")
}

type msgpackBytes []byte

func TestFingerprintOfManyTypesThatHoldEachOther(t *testing.T) {
	type (
		d struct{ X, Y, Z *mutualA }
		c struct{ X, Y, Z d }
		b struct{ X, Y, Z c }
		a struct{ X, Y, Z b }
	)
	assert.LessOrEqual(t, len(ipc.Fingerprint(reflect.TypeFor[a]())), 64)
	assert.Equal(t, ipc.Fingerprint(reflect.TypeFor[a]()), ipc.Fingerprint(reflect.TypeFor[a]()))
}

// The fields that a fingerprint sees must be those that msgpack encodes.
func TestFieldsAreThoseOfMsgpack(t *testing.T) {
	type shadowed struct {
		base
		ID string
	}
	type shadowing struct {
		ID string
		base
	}
	type forced struct {
		ID   string
		base `msgpack:",inline"`
	}
	type clock struct{ time.Time }
	for want, v := range map[string]any{
		"struct{ID:int,ID:string}":              shadowed{},
		"struct{ID:string,base:struct{ID:int}}": shadowing{},
		"struct{ID:string}":                     forced{},
		"struct{Clock:time.Time}":               struct{ Clock time.Time }{},
	} {
		assert.Equal(t, want, ipc.Fingerprint(reflect.TypeOf(v)))
	}
	assert.Equal(t, "github.com/seed7d1be1d5/concurrent/ipc_test.clock", ipc.Fingerprint(reflect.TypeFor[clock]()))
	for v, keys := range map[any]int{shadowed{}: 2, shadowing{}: 2, forced{}: 1} {
		encoded, err := msgpack.Marshal(v)
		assert.NoError(t, err)
		assert.Equal(t, byte(0x80+keys), encoded[0], "%T", v)
	}
}
