package dev.rowtide.sqldelight

import app.cash.sqldelight.db.QueryResult
import app.cash.sqldelight.db.SqlCursor
import app.cash.sqldelight.db.SqlPreparedStatement
import dev.rowtide.driver.DriverStatement
import dev.rowtide.driver.RowtideDriverApi

/** Arguments, counted from 0. */
@OptIn(RowtideDriverApi::class)
internal class StatementArguments(private val statement: DriverStatement) : SqlPreparedStatement {
    override fun bindBytes(index: Int, bytes: ByteArray?) = statement.bind(index + 1, bytes)

    override fun bindLong(index: Int, long: Long?) = statement.bind(index + 1, long)

    override fun bindDouble(index: Int, double: Double?) = statement.bind(index + 1, double)

    override fun bindString(index: Int, string: String?) = statement.bind(index + 1, string)

    override fun bindBoolean(index: Int, boolean: Boolean?) = statement.bind(index + 1, boolean)
}

@OptIn(RowtideDriverApi::class)
internal class StatementCursor(private val statement: DriverStatement) : SqlCursor {
    override fun next(): QueryResult.Value<Boolean> = QueryResult.Value(statement.step())

    override fun getString(index: Int): String? = if (statement.isNull(index)) null else statement.text(index)

    override fun getLong(index: Int): Long? = if (statement.isNull(index)) null else statement.long(index)

    override fun getBytes(index: Int): ByteArray? = if (statement.isNull(index)) null else statement.blob(index)

    override fun getDouble(index: Int): Double? = if (statement.isNull(index)) null else statement.double(index)

    override fun getBoolean(index: Int): Boolean? = if (statement.isNull(index)) null else statement.long(index) != 0L
}
