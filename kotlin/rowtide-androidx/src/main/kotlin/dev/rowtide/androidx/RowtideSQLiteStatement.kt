package dev.rowtide.androidx

import androidx.sqlite.SQLITE_DATA_BLOB
import androidx.sqlite.SQLITE_DATA_FLOAT
import androidx.sqlite.SQLITE_DATA_INTEGER
import androidx.sqlite.SQLITE_DATA_NULL
import androidx.sqlite.SQLITE_DATA_TEXT
import androidx.sqlite.SQLiteStatement
import dev.rowtide.driver.CellType
import dev.rowtide.driver.DriverStatement
import dev.rowtide.driver.RowtideDriverApi

@OptIn(RowtideDriverApi::class)
internal class RowtideSQLiteStatement(private val statement: DriverStatement) : SQLiteStatement {
    override fun bindBlob(index: Int, value: ByteArray) = translating { statement.bind(index, value) }

    override fun bindDouble(index: Int, value: Double) = translating { statement.bind(index, value) }

    override fun bindLong(index: Int, value: Long) = translating { statement.bind(index, value) }

    override fun bindText(index: Int, value: String) = translating { statement.bind(index, value) }

    override fun bindNull(index: Int) = translating { statement.bind(index, null) }

    override fun getBlob(index: Int): ByteArray = translating { statement.blob(index) }

    override fun getDouble(index: Int): Double = translating { statement.double(index) }

    override fun getLong(index: Int): Long = translating { statement.long(index) }

    override fun getText(index: Int): String = translating { statement.text(index) }

    override fun isNull(index: Int): Boolean = translating { statement.isNull(index) }

    override fun getColumnCount(): Int = translating { statement.columnCount }

    override fun getColumnName(index: Int): String = translating { statement.columnName(index) }

    override fun getColumnType(index: Int): Int = translating {
        when (statement.columnType(index)) {
            CellType.Null -> SQLITE_DATA_NULL
            CellType.Integer -> SQLITE_DATA_INTEGER
            CellType.Real -> SQLITE_DATA_FLOAT
            CellType.Text -> SQLITE_DATA_TEXT
            CellType.Blob -> SQLITE_DATA_BLOB
        }
    }

    override fun step(): Boolean = translating { statement.step() }

    override fun reset() = translating { statement.reset() }

    override fun clearBindings() = translating { statement.clearBindings() }

    override fun close() = translating(statement::close)
}
