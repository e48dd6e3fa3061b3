package ipc_test

import (
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed7d1be1d5/concurrent/ipc"
)

func TestFieldsOfAStruct(t *testing.T) {
	for range 2 { // the second time they are known
		fields, ok := ipc.FieldsOf(reflect.TypeFor[whole]())
		require.True(t, ok)
		var names []string
		v := reflect.ValueOf(whole{base: base{7}, Renamed: "r"})
		for _, f := range fields {
			names = append(names, f.Name)
			_, err := v.FieldByIndexErr(f.Index)
			require.NoError(t, err)
		}
		assert.Equal(t, []string{"ID", "Inner", "r", "Raw", "At", "Map"}, names)
		id, _ := v.FieldByIndexErr(fields[0].Index)
		assert.Equal(t, 7, int(id.Int()))
	}
	fields, ok := ipc.FieldsOf(reflect.TypeFor[struct{}]())
	assert.True(t, ok)
	assert.Empty(t, fields)
	for _, other := range []reflect.Type{
		reflect.TypeFor[int](), reflect.TypeFor[*whole](), reflect.TypeFor[tuple](), reflect.TypeFor[time.Time](), reflect.TypeFor[map[string]int](),
	} {
		_, ok := ipc.FieldsOf(other)
		assert.False(t, ok, other)
	}
	assert.True(t, ipc.EncodesItself(reflect.TypeFor[*big.Int]()))
	assert.False(t, ipc.EncodesItself(reflect.TypeFor[whole]()))
}
