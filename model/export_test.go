package model

import "reflect"

// Parts of the document that its schema is made from.
var (
	DocumentType  = reflect.TypeFor[document]()
	SourceJSON    = reflect.TypeFor[sourceJSON]()
	SiteCountType = reflect.TypeFor[SiteCount]()
	SeverityNames = severityNames[:]
	OutcomeNames  = outcomeNames[:]
)
