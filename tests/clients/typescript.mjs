// The unmodified @servicestack/client against a running stack. tests/stack/test_servicestack_clients.py runs this file.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ErrorResponse, JsonApiClient, JsonServiceClient } from '@servicestack/client'
import { EndSession, GetSession, NewSession } from './dtos.mjs'

const { BASE_URL, TOKEN } = process.env
const EVERY_FIELD = JSON.parse(process.env.EVERY_FIELD)

const CLIENTS = {
    'JsonServiceClient': {
        make: () => new JsonServiceClient(BASE_URL), path: '/api/NewSession', contentType: 'application/json',
    },
    'JsonServiceClient with an empty base path': {
        make: () => new JsonServiceClient(BASE_URL).useBasePath(''),
        path: '/json/reply/NewSession', contentType: 'application/json',
    },
    'JsonApiClient': {
        make: () => JsonApiClient.create(BASE_URL), path: '/api/NewSession', contentType: 'text/plain;charset=UTF-8',
    },
}

/** Return a client, and the list of the requests that it sends. */
function connect(make, token = TOKEN) {
    const client = make(), sent = []
    client.bearerToken = token
    client.requestFilter = request => sent.push(new Request(request.url, request))
    return { client, sent }
}

for (const [name, { make, path, contentType }] of Object.entries(CLIENTS)) {
    test(`${name} creates a session on its default path`, async () => {
        const { client, sent } = connect(make)
        const session = await client.post(new NewSession({ channel: 'Voice' }))
        assert.equal(sent[0].url, BASE_URL + path)
        assert.equal(sent[0].headers.get('Content-Type'), contentType)
        assert.equal(session.channel, 'Voice')
        assert.equal(session.fromAddress, 'ada@example.com')
    })

    test(`${name} creates a session at /sessions`, async () => {
        const { client, sent } = connect(make)
        const session = await client.postToUrl('/sessions', new NewSession({ channel: 'Fax' }))
        assert.equal(sent[0].url, BASE_URL + '/sessions')
        assert.equal(session.channel, 'Fax')
    })

    test(`${name} reads and ends a session by typed requests`, async () => {
        const { client, sent } = connect(make)
        const { id: sessionId } = await client.post(new NewSession())
        assert.equal((await client.get(new GetSession({ sessionId }))).ended, false)
        assert.equal(sent.at(-1).url, `${BASE_URL}${path.replace('NewSession', 'GetSession')}?sessionId=${sessionId}`)
        assert.ok(!await client.delete(new EndSession({ sessionId })))
        assert.equal(sent.at(-1).method, 'DELETE')
        assert.equal(sent.at(-1).url, `${BASE_URL}${path.replace('NewSession', 'EndSession')}?sessionId=${sessionId}`)
        const ended = await client.get(new GetSession({ sessionId }))
        assert.deepEqual([ended.ended, ended.callState], [true, 'Disconnected'])
        assert.equal(ended.log.at(-1).message, 'Session ended by Ada Lovelace')
    })

    test(`${name} shows the error of each field`, async () => {
        const { client } = connect(make)
        const result = await client.api(new NewSession({ channel: 'Telex', fromName: 'n'.repeat(257) }))
        assert.equal(result.errorCode, 'ValidationException')
        assert.equal(result.fieldError('channel').errorCode, 'InvalidEnum')
        assert.equal(result.fieldErrorMessage('channel'), "must be 'Voice', 'Chat' or 'Fax'")
        assert.equal(result.fieldError('fromName').errorCode, 'TooLong')
    })
}

test('a client sends every field, and receives it unchanged', async () => {
    const session = await connect(CLIENTS.JsonServiceClient.make).client.post(new NewSession(EVERY_FIELD))
    for (const name of Object.keys(EVERY_FIELD).filter(name => name in session))
        assert.deepEqual(session[name], EVERY_FIELD[name], name)
    assert.equal(session.dialState, 'Active')
})

test('null means absent', async () => {
    const nulls = Object.fromEntries(Object.keys(EVERY_FIELD).map(name => [name, null]))
    const { client, sent } = connect(CLIENTS.JsonServiceClient.make)
    const session = await client.post(new NewSession(nulls))
    assert.deepEqual(await sent[0].json(), nulls)
    assert.equal(session.direction, 'Outgoing')
    assert.equal(session.dialState, 'None')
})

test('fields in the query string are bound', async () => {
    const { client, sent } = connect(CLIENTS.JsonServiceClient.make)
    const session = await client.post(new NewSession({ displayName: 'x' }), { channel: 'Voice', toAddress: '+15550001111' })
    assert.equal(new URL(sent[0].url).search, '?channel=Voice&toAddress=%2B15550001111')
    assert.deepEqual([session.displayName, session.channel, session.toAddress], ['x', 'Voice', '+15550001111'])
})

test('a thrown error has a responseStatus', async () => {
    const { client } = connect(CLIENTS.JsonServiceClient.make)
    const error = await client.post(new NewSession({ channel: 'Telex' })).catch(error => error)
    assert.equal(error.responseStatus.errorCode, 'ValidationException')
    assert.deepEqual(error.responseStatus.errors.map(each => each.fieldName), ['channel'])
})

test('a wrong token is a 401', async () => {
    const { client } = connect(CLIENTS.JsonServiceClient.make, 'wrong')
    const error = await client.post(new NewSession()).catch(error => error)
    assert.ok(error instanceof ErrorResponse)
    assert.equal(error.responseStatus.errorCode, '401')
})
