// The DTOs that the client needs, as ServiceStack's code generator writes them for JavaScript.

export class SessionInfo {
    constructor(init) { Object.assign(this, init) }
}

export class NewSession {
    constructor(init) { Object.assign(this, init) }
    getTypeName() { return 'NewSession' }
    getMethod() { return 'POST' }
    createResponse() { return new SessionInfo() }
}

export class GetSession {
    constructor(init) { Object.assign(this, init) }
    getTypeName() { return 'GetSession' }
    getMethod() { return 'GET' }
    createResponse() { return new SessionInfo() }
}

export class EndSession {
    constructor(init) { Object.assign(this, init) }
    getTypeName() { return 'EndSession' }
    getMethod() { return 'DELETE' }
    createResponse() {}
}
