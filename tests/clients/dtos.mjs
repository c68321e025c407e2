// The DTOs that the client needs, as ServiceStack's code generator writes them for JavaScript.

export class SessionInfo {
    constructor(init) { Object.assign(this, init) }
}

export class NewSession {
    /** @param {{displayName?:string,channel?:'Voice'|'Chat'|'Fax',direction?:'Incoming'|'Outgoing',callState?:'Disconnected'|'Ringing'|'Connected'|'Hold'|'Passive',fromAddress?:string,fromName?:string,toAddress?:string,parentSessionId?:string,customerId?:string,withAddress?:string,fromPhoneNumber?:string,destination?:string,memberEmailAddresses?:string[],startSession?:boolean}} [init] */
    constructor(init) { Object.assign(this, init) }
    getTypeName() { return 'NewSession' }
    getMethod() { return 'POST' }
    createResponse() { return new SessionInfo() }
}
